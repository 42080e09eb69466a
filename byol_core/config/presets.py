"""Names base configs, each a set of overrides on the defaults.

A preset is a value: it never changes under its name.
"""

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
    # The same digits and net under the paper's optimizer, for what collapses or needs LARS. How it
    # was chosen: docs/log.md.
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
    # The blog's setting (untitled-ai/self_supervised: train_blog.py, moco.py): ResNet-18, 10 epochs
    # of 320 on STL-10. Differs: the target moves after the optimizer step, as in the BYOL paper;
    # there it moves before.
    "stl10-r18-blog": {
        "dataset.name": "stl10",
        "epochs": 10,
        "schedule_epochs": 320,
        "batch_size": 256,
        "loss.scale": 0.5,
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
        "loss.queue_size": 65536,
        "loss.temperature": 0.2,
        **_PHOTO_OFF,
        "augment.crop_p": 1.0,
        "augment.flip_p": 0.5,
        "augment.jitter_p": 0.8,
        "augment.grayscale_p": 0.2,
        "augment.blur_p": 0.5,
        "augment.normalize": "imagenet",
    },
    # BYOL's ImageNet setting at 300 epochs, the scale of its ablations (arXiv 2006.07733, sections
    # 3.3 and 5, appendices B and J; deepmind-research/byol, configs/byol.py). lr = 0.3 · 4096/256.
    # Haiku's weights, γ = 1 throughout, the last linear layer of each head without bias, online and
    # target from two draws. arXiv 2010.10241 starts from it; what that paper changes for rows
    # without batch norm is in an appendix that was not seen, and is not guessed here: the images
    # that modified init is fitted to (one batch), the 16 groups (the paper's) and SimCLR's
    # temperature (2006.07733, appendix F.4). Differs: brightness is a factor as in torchvision
    # (there an addend), padding is symmetric (there "SAME"), the blur's kernel ends at three
    # standard deviations (there at 23 pixels: less than a grey level), float32 on one device.
    "imagenet-r50-300ep": {
        "dataset.name": "folder",
        "dataset.side": 224,
        "epochs": 300,
        "batch_size": 4096,
        "encoder.arch": "resnet50",
        "encoder.stem": "7x7_pool",
        "encoder.gn_groups": 16,
        "projector.hidden": 4096,
        "projector.out": 256,
        "projector.out_bias": False,
        "predictor.hidden": 4096,
        "predictor.out": 256,
        "predictor.out_bias": False,
        "init.scheme": "haiku",
        "init.affine_images": 4096,
        "target.tau_base": 0.99,
        "target.schedule": "cosine",
        "target.start": "draw",
        "optimizer.name": "lars",
        "optimizer.lr": 4.8,
        "optimizer.momentum": 0.9,
        "optimizer.weight_decay": 1e-6,
        "optimizer.trust_coefficient": 1e-3,
        "optimizer.schedule": "cosine",
        "optimizer.warmup_epochs": 10.0,
        "loss.queue_size": 65536,
        "loss.temperature": 0.1,
        **_PHOTO_OFF,
        "augment.crop_p": 1.0,
        "augment.crop_area": [0.08, 1.0],
        "augment.crop_ratio": [0.75, 1.3333333333333333],
        "augment.flip_p": 0.5,
        "augment.jitter_p": 0.8,
        "augment.jitter_brightness": 0.4,
        "augment.jitter_contrast": 0.4,
        "augment.jitter_saturation": 0.2,
        "augment.jitter_hue": 0.1,
        "augment.grayscale_p": 0.2,
        "augment.blur_p": [1.0, 0.1],
        "augment.blur_sigma": [0.1, 2.0],
        "augment.solarize_p": [0.0, 0.2],
        "augment.normalize": "imagenet",
    },
}
