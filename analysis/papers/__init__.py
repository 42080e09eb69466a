"""The published side as data: rows, tables, printed numbers. A light leaf."""
