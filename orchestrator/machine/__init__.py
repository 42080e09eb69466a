"""Tells facts about this machine, without torch.

* ``gpus`` counts the GPUs that this process may use.
* ``processes`` names a process for good and tells whether it lives.
* ``user`` names who runs this program.
* ``filesystem`` tells on which file system a path lies.
"""
