/* Expressions as operators see them. They are defined with the binder that makes them, one layer below. */
#ifndef PENSTOCK_PLAN_EXPR_H
#define PENSTOCK_PLAN_EXPR_H

#include "sql/expr.h"

#endif
