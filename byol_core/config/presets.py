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

_PHOTO_VIEWS: dict[str, Any] = {
    **_PHOTO_OFF,
    "augment.crop_p": 1.0,
    "augment.flip_p": 0.5,
    "augment.jitter_p": 0.8,
    "augment.grayscale_p": 0.2,
}
"""Crops, flips, jitter and grey at the strengths of MoCo and SimSiam, which are the defaults."""

PRESETS: dict[str, dict[str, Any]] = {
    # 1,797 real handwritten digits; about 20 s a run on one core. How it was chosen: docs/log.md.
    "digits-tiny": {},
    # The same digits for about 2/5 of digits-tiny's processor time or less: 4x4 maps, 40 epochs,
    # PyTorch's weights. The blog's contrastive row takes lr 0.0075, which keeps the blog's ratio of
    # the two rates. How it was chosen: docs/log.md.
    "digits-light": {
        "epochs": 40,
        "encoder.stem": "7x7_pool",
        "init.scheme": "torch",
        "optimizer.lr": 0.6,
    },
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
    # of 320 on STL-10, rates and τ by epoch, the target moved before the optimizer's step, decay on
    # every parameter, 32 groups wherever group norm stands. Its contrastive row has a loss and a
    # rate of its own (sweeps/norm_ablation.yaml). Differs: PIL's blur is three box filters, ours the
    # Gaussian, cut at three standard deviations; views are flipped before jitter, there after grey,
    # which comes to the same; accuracy is that of our protocols, there logistic regression on half
    # of the test images.
    "stl10-r18-blog": {
        "dataset.name": "stl10",
        "epochs": 10,
        "schedule_epochs": 320,
        "schedule_by": "epoch",
        "batch_size": 256,
        "loss.scale": 0.5,
        "loss.queue_size": 65536,
        "loss.queue_keys": "first",
        "loss.temperature": 0.2,
        "encoder.arch": "resnet18",
        "encoder.stem": "7x7_pool",
        "encoder.gn_groups": 32,
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
        "target.moves": "before",
        "optimizer.lr": 0.8,
        "optimizer.momentum": 0.9,
        "optimizer.weight_decay": 1e-4,
        "optimizer.decay_bias_and_norm": True,
        "optimizer.schedule": "cosine",
        "optimizer.lars_form": "blog",
        **_PHOTO_VIEWS,
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
    # lightly's CIFAR-10 benchmark of BYOL (cifar10_benchmark.py; its k-NN reaches 0.869 after 200
    # epochs, the best epoch on the test images): lr 0.06 · batch/128, a constant τ that moves before
    # the step, the mean of both orders of −cos (a quarter of ours), BYOL's views without blur.
    # Differs: pixels are normalized with CIFAR-10's mean and deviation, there with ImageNet's.
    "cifar10-r18": {
        "dataset.name": "cifar10",
        "epochs": 200,
        "schedule_by": "epoch",
        "batch_size": 128,
        "loss.scale": 0.25,
        "encoder.arch": "resnet18",
        "encoder.stem": "3x3",
        "projector.hidden": 1024,
        "projector.out": 256,
        "predictor.hidden": 1024,
        "predictor.out": 256,
        "init.scheme": "torch",
        "init.biases": "torch",
        "target.tau_base": 0.99,
        "target.moves": "before",
        "optimizer.lr": 0.06,
        "optimizer.momentum": 0.9,
        "optimizer.weight_decay": 5e-4,
        "optimizer.decay_bias_and_norm": True,
        "optimizer.schedule": "cosine",
        **_PHOTO_VIEWS,
        "augment.crop_area": [0.08, 1.0],
        "augment.jitter_saturation": 0.2,
        "augment.solarize_p": [0.0, 0.2],
        "augment.normalize": "cifar10",
    },
    # CIFAR-10 at a size that two processor cores train in minutes: the net and optimizer of
    # digits-tiny on a fifth of the images. Of no paper, and not tuned.
    "cifar10-tiny": {
        "dataset.name": "cifar10",
        "dataset.limit": 10000,
        "epochs": 20,
        **_PHOTO_VIEWS,
        "augment.jitter_saturation": 0.2,
        "augment.normalize": "cifar10",
    },
    # SimSiam on ImageNet (arXiv 2011.10566, section 3; 100 epochs are the length of its ablations):
    # a target that is a copy, no moving average, the predictor's rate not decayed, decay on every
    # parameter, lr = 0.05 · 512/256, the mean of both orders of −cos (a quarter of ours).
    "imagenet-r50-simsiam": {
        "dataset.name": "folder",
        "dataset.side": 224,
        "epochs": 100,
        "batch_size": 512,
        "loss.scale": 0.25,
        "encoder.arch": "resnet50",
        "encoder.stem": "7x7_pool",
        "projector.depth": 3,
        "projector.hidden": 2048,
        "projector.out": 2048,
        "projector.out_norm": True,
        "predictor.hidden": 512,
        "predictor.out": 2048,
        "init.scheme": "torchvision",
        "init.biases": "torch",
        "init.zero_last_norm": True,  # as in its code
        "target.tau_base": 0.0,
        "optimizer.lr": 0.1,
        "optimizer.momentum": 0.9,
        "optimizer.weight_decay": 1e-4,
        "optimizer.decay_bias_and_norm": True,
        "optimizer.schedule": "cosine",
        "optimizer.predictor_schedule": "constant",
        **_PHOTO_VIEWS,
        "augment.blur_p": 0.5,
        "augment.normalize": "imagenet",
    },
    # SimSiam on CIFAR-10 (the same paper, appendix D; 91.8 % linear after 800 epochs): two layers
    # in the projector, lr = 0.03 · 512/256, no blur. First weights are PyTorch's; the paper is
    # silent on them.
    "cifar10-r18-simsiam": {
        "dataset.name": "cifar10",
        "epochs": 800,
        "batch_size": 512,
        "loss.scale": 0.25,
        "encoder.arch": "resnet18",
        "encoder.stem": "3x3",
        "projector.hidden": 2048,
        "projector.out": 2048,
        "projector.out_norm": True,
        "predictor.hidden": 512,
        "predictor.out": 2048,
        "init.scheme": "torch",
        "init.biases": "torch",
        "target.tau_base": 0.0,
        "optimizer.lr": 0.06,
        "optimizer.momentum": 0.9,
        "optimizer.weight_decay": 5e-4,
        "optimizer.decay_bias_and_norm": True,
        "optimizer.schedule": "cosine",
        "optimizer.predictor_schedule": "constant",
        **_PHOTO_VIEWS,
        "augment.normalize": "cifar10",
    },
    # BYOL of the DirectPred paper on STL-10 (arXiv 2102.06810, Table 1; facebookresearch/luckmatters,
    # ssl/real-dataset/config/byol_config.yaml): SGD at a constant rate, heads whose norms have no γ
    # and β, jitter at full strength. Its config is silent on crops and on the pixels' scale: here
    # torchvision's own range of areas, and pixels in [0, 1]. Which predictor is its tables' axis.
    "stl10-r18-directpred": {
        "dataset.name": "stl10",
        "epochs": 100,
        "batch_size": 128,
        "encoder.arch": "resnet18",
        "encoder.stem": "7x7_pool",
        "projector.hidden": 512,
        "projector.out": 128,
        "projector.norm_affine": False,
        "predictor.hidden": 512,
        "predictor.out": 128,
        "predictor.norm_affine": False,
        "init.scheme": "torchvision",
        "init.biases": "torch",
        "target.tau_base": 0.996,
        "optimizer.lr": 0.03,
        "optimizer.momentum": 0.9,
        "optimizer.weight_decay": 4e-4,
        "optimizer.decay_bias_and_norm": True,
        **_PHOTO_VIEWS,
        "augment.crop_area": [0.08, 1.0],
        "augment.jitter_brightness": 0.8,
        "augment.jitter_contrast": 0.8,
        "augment.jitter_saturation": 0.8,
        "augment.jitter_hue": 0.2,
        "augment.blur_p": 0.5,
    },
}
