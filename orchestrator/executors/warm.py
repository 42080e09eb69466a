"""Loads torch once: the fork server imports this, so that each run's process starts with it.

`torch._dynamo` is among them because every optimizer imports it when it is made (1.7 s of a
processor), although nothing here is compiled.
"""

import torch
import torch._dynamo

import byol_core.train
import orchestrator.executors.worker

__all__ = ["byol_core", "orchestrator", "torch"]
