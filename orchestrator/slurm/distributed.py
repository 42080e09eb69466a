"""Tells the tasks of one job where they meet: SLURM's variables as `torch.distributed` reads them.

With these in the environment, ``torch.distributed.init_process_group(init_method="env://")`` needs
nothing more. Several jobs may share a node, so the port follows from the job's number.
"""

import os

from orchestrator.slurm.commands import ask

# Below the ports that Linux gives away by itself (32768 on).
_FIRST_PORT = 20000
_PORTS = 10000


def rendezvous() -> dict[str, str]:
    """Return MASTER_ADDR, MASTER_PORT, RANK, WORLD_SIZE and LOCAL_RANK of this task.

    A job of one task needs none of them.

    Raises:
        SchedulerError: scontrol cannot name the nodes of the job.
    """
    world = int(os.environ.get("SLURM_NTASKS", "1"))
    if world == 1:
        return {}

    # All tasks must come to the same answer, so node and port follow from the job alone.
    nodes = ask("scontrol", "show", "hostnames", os.environ["SLURM_JOB_NODELIST"]).split()
    port = _FIRST_PORT + int(os.environ["SLURM_JOB_ID"]) % _PORTS
    return {
        "MASTER_ADDR": nodes[0],
        "MASTER_PORT": str(port),
        "RANK": os.environ["SLURM_PROCID"],
        "WORLD_SIZE": str(world),
        "LOCAL_RANK": os.environ["SLURM_LOCALID"],
    }
