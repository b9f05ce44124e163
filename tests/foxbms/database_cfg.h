/* Stand-in of foxBMS 2's header: the four entries that are read, and the one that is written. */
#ifndef DATABASE_CFG_H_
#define DATABASE_CFG_H_

#include "battery_system_cfg.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#define PER_STRING [BS_NR_OF_STRINGS]
#define PER_MODULE PER_STRING[BS_NR_OF_MODULES_PER_STRING]
#define PER_CELL PER_MODULE[BS_NR_OF_CELL_BLOCKS_PER_MODULE]
#define PER_SENSOR PER_MODULE[BS_NR_OF_TEMP_SENSORS_PER_MODULE]

typedef enum {
    DATA_BLOCK_ID_CELL_TEMPERATURE,
    DATA_BLOCK_ID_CELL_VOLTAGE,
    DATA_BLOCK_ID_CURRENT,
    DATA_BLOCK_ID_SOC,
    DATA_BLOCK_ID_CTE,
    DATA_BLOCK_ID_MAX,
} DATA_BLOCK_ID_e;

typedef struct {
    DATA_BLOCK_ID_e uniqueId;
    uint32_t timestamp;
    uint32_t previousTimestamp;
} DATA_BLOCK_HEADER_s;

typedef struct {
    DATA_BLOCK_HEADER_s header;
    uint8_t state;
    int32_t stringVoltage_mV PER_STRING;
    bool invalidStringVoltage PER_STRING;
    int16_t cellVoltage_mV PER_CELL;
    bool invalidCellVoltage PER_CELL;
} DATA_BLOCK_CELL_VOLTAGE_s;

typedef struct {
    DATA_BLOCK_HEADER_s header;
    uint8_t state;
    int16_t cellTemperature_ddegC PER_SENSOR;
    bool invalidCellTemperature PER_SENSOR;
    uint16_t nrValidTemperatures PER_STRING;
} DATA_BLOCK_CELL_TEMPERATURE_s;

typedef struct {
    DATA_BLOCK_HEADER_s header;
    int32_t current_mA PER_STRING;
    uint8_t invalidMeasurement PER_STRING;
    uint8_t newCurrent;
    uint32_t previousTimestamp PER_STRING;
    uint32_t timestamp PER_STRING;
} DATA_BLOCK_CURRENT_s;

typedef struct {
    DATA_BLOCK_HEADER_s header;
    float_t averageSoc_perc PER_STRING;
} DATA_BLOCK_SOC_s;

#include "cte_block.h"

#endif
