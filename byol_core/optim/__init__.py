"""Optimizers, which parameters they touch, and schedules."""
