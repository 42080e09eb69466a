"""Loads torch once: the fork server imports this, so that each run's process starts with it."""

import sklearn.linear_model
import sklearn.pipeline
import sklearn.preprocessing
import torch

import byol_core.train
import orchestrator.executors.worker

__all__ = ["byol_core", "orchestrator", "sklearn", "torch"]
