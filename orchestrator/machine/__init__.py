"""Facts about this machine, told without torch: its ``gpus``, its ``processes`` and the
``filesystem`` under a path.
"""
