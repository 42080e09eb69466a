"""Says what a run is: its settings, the presets they start from, and the identity that names it.

This package loads no torch.

* ``train_config`` declares every setting with its range and meaning; the sections below it are in
  ``network_config``, ``objective_config`` and ``augment_config``.
* ``fields`` defines what settings are made of, and how a field says when it has effect.
* ``effect`` tells which keys of a run have effect.
* ``key_facts`` lists what it declares, key by key.
* ``architectures`` holds the numbers of the encoders.
* ``checks`` refuses settings that do not go together, ``network_checks`` those of the networks.
* ``presets`` names base configs.
* ``resolve`` lays overrides over a preset.
* ``canonical`` gives settings that mean the same one form.
* ``old_settings`` reads the settings of runs that an older trainer made in today's words.
* ``target_memory`` tells how long the target's moving average remembers.
* ``identity`` hashes that form together with the data.
* ``trainer_digest`` hashes the code that trains and evaluates.
* ``errors`` says what can be wrong with settings.
"""

from byol_core.config.augment_config import Augment
from byol_core.config.canonical import canonical, essential, flatten
from byol_core.config.errors import ConfigError
from byol_core.config.identity import SEMANTICS, DataIdentity, run_id, run_id_of
from byol_core.config.network_config import (
    BatchNormConfig,
    EncoderConfig,
    HeadConfig,
    InitConfig,
    PredictorConfig,
)
from byol_core.config.objective_config import LossConfig, OptimizerConfig, TargetConfig
from byol_core.config.presets import PRESETS
from byol_core.config.resolve import nearest, resolve
from byol_core.config.train_config import DatasetConfig, TrainConfig
from byol_core.config.trainer_digest import trainer_digest
from byol_core.protocols import PROTOCOLS

__all__ = [
    "PRESETS",
    "PROTOCOLS",
    "SEMANTICS",
    "Augment",
    "BatchNormConfig",
    "ConfigError",
    "DataIdentity",
    "DatasetConfig",
    "EncoderConfig",
    "HeadConfig",
    "InitConfig",
    "LossConfig",
    "OptimizerConfig",
    "PredictorConfig",
    "TargetConfig",
    "TrainConfig",
    "canonical",
    "essential",
    "flatten",
    "nearest",
    "resolve",
    "run_id",
    "run_id_of",
    "trainer_digest",
]
