/* Stand-in of foxBMS 2's headers database.h and database_helper.h. */
#ifndef DATABASE_H_
#define DATABASE_H_

#include "database_cfg.h"
#include "fstd_types.h"

#define DATA_READ_DATA(a, b, c, d) DATA_Read4DataBlocks(a, b, c, d)
#define DATA_WRITE_DATA(a) DATA_Write1DataBlock(a)

extern STD_RETURN_TYPE_e DATA_Read4DataBlocks(void *pBlock0, void *pBlock1, void *pBlock2, void *pBlock3);
extern STD_RETURN_TYPE_e DATA_Write1DataBlock(void *pBlock);
extern bool DATA_DatabaseEntryUpdatedAtLeastOnce(DATA_BLOCK_HEADER_s header);
extern bool DATA_EntryUpdatedWithinInterval(DATA_BLOCK_HEADER_s header, uint32_t interval);

#endif
