/* Stand-in of foxBMS 2's header: the names and types that the adapter uses, and nothing else. */
#ifndef FSTD_TYPES_H_
#define FSTD_TYPES_H_

#define NULL_PTR ((void *)0)

typedef enum { STD_OK, STD_NOT_OK } STD_RETURN_TYPE_e;

#endif
