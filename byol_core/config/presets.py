"""Named base configs, each a set of overrides on the defaults. A preset is a value: it never changes under its name."""

from typing import Any

_PHOTO_OFF: dict[str, Any] = {
    "augment.rotate_rad": 0.0,
    "augment.scale": [1.0, 1.0],
    "augment.shift": 0.0,
    "augment.gain": 0.0,
    "augment.offset": 0.0,
    "augment.noise_std": 0.0,
}

PRESETS: dict[str, dict[str, Any]] = {
    # 1,797 real handwritten digits; about 20 s a run on one core. How it was chosen: docs/log.md.
    "digits-tiny": {},
    # The same digits and net under the paper's optimizer, for what collapses or needs LARS. How: docs/log.md.
    "digits-lars": {
        "init.scheme": "torch",
        "optimizer.name": "lars",
        "optimizer.lr": 20.0,
        "optimizer.weight_decay": 1e-6,
        "optimizer.schedule": "cosine",
        "optimizer.warmup_epochs": 6.0,
        "target.tau_base": 0.996,
        "target.schedule": "cosine",
    },
    # The blog's setting (untitled-ai/self_supervised: train_blog.py, moco.py): ResNet-18, 10 epochs of 320 on STL-10.
    # Differs: the target moves after the optimizer step, as in the BYOL paper; there it moves before.
    "stl10-r18-blog": {
        "dataset.name": "stl10",
        "epochs": 10,
        "schedule_epochs": 320,
        "batch_size": 256,
        "loss_scale": 0.5,
        "encoder.arch": "resnet18",
        "encoder.stem": "7x7_pool",
        "projector.hidden": 512,
        "projector.out": 128,
        "projector.gn_groups": 32,
        "predictor.hidden": 512,
        "predictor.out": 128,
        "predictor.gn_groups": 32,
        "init.scheme": "torchvision",
        "init.biases": "torch",
        "target.tau_base": 0.996,
        "target.schedule": "cosine",
        "optimizer.lr": 0.8,
        "optimizer.momentum": 0.9,
        "optimizer.weight_decay": 1e-4,
        "optimizer.decay_bias_and_norm": True,
        "optimizer.schedule": "cosine",
        "contrastive.queue_size": 65536,
        "contrastive.temperature": 0.2,
        **_PHOTO_OFF,
        "augment.crop_p": 1.0,
        "augment.flip_p": 0.5,
        "augment.jitter_p": 0.8,
        "augment.grayscale_p": 0.2,
        "augment.blur_p": 0.5,
        "augment.normalize": "imagenet",
    },
}
