"""A process that keeps freed memory asks the system for none of it again."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource
from byol_core.allocator import keep_freed_memory

def faults_of_a_step():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        blocks = [bytearray(40 << 20), bytearray(4 << 20)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_freed_memory()
faults_of_a_step()
print(faults_of_a_step())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of the GNU C library")
def test_the_second_time_memory_is_at_hand():
    """Ten times 44 MB are 112,640 pages of 4 kB, or 220 of 2 MB."""
    outcome = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert int(outcome.stdout) < 20, outcome.stderr
