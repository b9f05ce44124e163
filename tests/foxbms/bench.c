/* A database, a clock and a table of algorithms for the adapter, and what a test reaches them by. */
#include "algorithm_cfg.h"
#include "cte.h"
#include "database.h"
#include "fassert.h"
#include "os.h"

#include <stdlib.h>
#include <string.h>

static DATA_BLOCK_CELL_TEMPERATURE_s temperature = {.header.uniqueId = DATA_BLOCK_ID_CELL_TEMPERATURE};
static DATA_BLOCK_CELL_VOLTAGE_s voltage = {.header.uniqueId = DATA_BLOCK_ID_CELL_VOLTAGE};
static DATA_BLOCK_CURRENT_s current = {.header.uniqueId = DATA_BLOCK_ID_CURRENT};
static DATA_BLOCK_SOC_s soc = {.header.uniqueId = DATA_BLOCK_ID_SOC};
static DATA_BLOCK_CTE_s core = {.header.uniqueId = DATA_BLOCK_ID_CTE};

static struct {
    void *entry;
    size_t length;
} const entries[DATA_BLOCK_ID_MAX] = {
    {&temperature, sizeof temperature}, {&voltage, sizeof voltage}, {&current, sizeof current},
    {&soc, sizeof soc}, {&core, sizeof core},
};
static uint32_t now_ms = 0u;
static bool broken = false;

ALGO_TASKS_s algo_algorithms[] = {
    {ALGO_UNINITIALIZED, CTE_CYCLE_TIME_ms, CTE_MAXIMUM_CALCULATION_DURATION_ms, 0, &CTE_Initialize, &CTE_Run},
};

void fas_failed(void)
{
    abort();
}

uint32_t OS_GetTickCount(void)
{
    return now_ms;
}

static void fetch(void *pBlock)
{
    const DATA_BLOCK_ID_e id = ((const DATA_BLOCK_HEADER_s *)pBlock)->uniqueId;
    memcpy(pBlock, entries[id].entry, entries[id].length);
}

STD_RETURN_TYPE_e DATA_Read4DataBlocks(void *pBlock0, void *pBlock1, void *pBlock2, void *pBlock3)
{
    fetch(pBlock0);
    fetch(pBlock1);
    fetch(pBlock2);
    fetch(pBlock3);
    return broken ? STD_NOT_OK : STD_OK;
}

STD_RETURN_TYPE_e DATA_Write1DataBlock(void *pBlock)
{
    DATA_BLOCK_HEADER_s *header = pBlock;
    header->previousTimestamp = header->timestamp;
    header->timestamp = now_ms;
    memcpy(entries[header->uniqueId].entry, pBlock, entries[header->uniqueId].length);
    return broken ? STD_NOT_OK : STD_OK;
}

bool DATA_DatabaseEntryUpdatedAtLeastOnce(DATA_BLOCK_HEADER_s header)
{
    return (header.timestamp != 0u) || (header.previousTimestamp != 0u);
}

bool DATA_EntryUpdatedWithinInterval(DATA_BLOCK_HEADER_s header, uint32_t interval)
{
    return (now_ms - header.timestamp) <= interval;
}

/* What a test turns and looks at. */
void set_time(uint32_t time_ms);
void set_broken(bool now_broken);
void set_temperature(unsigned s, unsigned m, unsigned k, int16_t value_ddegC, bool invalid);
void set_voltage(unsigned s, unsigned m, unsigned c, int16_t value_mV, bool invalid);
void set_current(unsigned s, int32_t value_mA, uint8_t invalid);
void set_soc(unsigned s, float value_perc);
void written(unsigned id);
int initialize(void);
void run(void);
int core_ddegC(unsigned s, unsigned m, unsigned e);
int sigma_ddegC(unsigned s, unsigned m, unsigned e);
int is_invalid(unsigned s, unsigned m, unsigned e);
int absent(unsigned s, unsigned m, unsigned e);
unsigned timestamp(void);

void set_time(uint32_t time_ms)
{
    now_ms = time_ms;
}

void set_broken(bool now_broken)
{
    broken = now_broken;
}

void set_temperature(unsigned s, unsigned m, unsigned k, int16_t value_ddegC, bool invalid)
{
    temperature.cellTemperature_ddegC[s][m][k] = value_ddegC;
    temperature.invalidCellTemperature[s][m][k] = invalid;
}

void set_voltage(unsigned s, unsigned m, unsigned c, int16_t value_mV, bool invalid)
{
    voltage.cellVoltage_mV[s][m][c] = value_mV;
    voltage.invalidCellVoltage[s][m][c] = invalid;
}

void set_current(unsigned s, int32_t value_mA, uint8_t invalid)
{
    current.current_mA[s] = value_mA;
    current.invalidMeasurement[s] = invalid;
    current.previousTimestamp[s] = current.timestamp[s];
    current.timestamp[s] = now_ms;
}

void set_soc(unsigned s, float value_perc)
{
    soc.averageSoc_perc[s] = value_perc;
}

void written(unsigned id)
{
    DATA_BLOCK_HEADER_s *header = entries[id].entry;
    header->previousTimestamp = header->timestamp;
    header->timestamp = now_ms;
}

int initialize(void)
{
    return (int)algo_algorithms[0].fpInitialization();
}

void run(void)
{
    algo_algorithms[0].fpAlgorithm();
}

int core_ddegC(unsigned s, unsigned m, unsigned e)
{
    return core.coreTemperature_ddegC[s][m][e];
}

int sigma_ddegC(unsigned s, unsigned m, unsigned e)
{
    return core.coreSigma_ddegC[s][m][e];
}

int is_invalid(unsigned s, unsigned m, unsigned e)
{
    return core.invalidCoreTemperature[s][m][e];
}

int absent(unsigned s, unsigned m, unsigned e)
{
    return core.absentInputs[s][m][e];
}

unsigned timestamp(void)
{
    return core.header.timestamp;
}
