"""Three processes joined by torch. Argument: what they do, "exchange" or "lose_the_first"."""

import json
import sys
from pathlib import Path

import torch
from support.together import die, together
from tokframe_torch.processes import process_group


def exchange():
    """Each process prints what it received."""

    def work(rank):
        with process_group("cpu", Path("work")) as processes:
            assert (processes.rank, processes.main, processes.world_size) == (rank, rank == 0, 3)
            first, second = torch.full((2, 2), float(rank)), torch.tensor(10.0 + rank)
            processes.all_reduce_sum([first, second])
            with processes.main_process_first():
                if rank == 0:
                    Path("made").write_text("by the main process")
                assert Path("made").exists()
            rows = processes.share(7)
            found = {
                "sums": [first.tolist(), float(second)],
                "any": [processes.any(rank == 2), processes.any(False)],
                "broadcast": [processes.broadcast(b"\0\1" if rank == 0 else b"").hex(), processes.broadcast().hex()],
                "rows": [rows.start, rows.stop],
            }
        Path(f"found-{rank}").write_text(json.dumps(found))

    assert together(3, work) == [0, 0, 0]
    print("\n".join(Path(f"found-{rank}").read_text() for rank in range(3)))


def lose_the_first():
    """The main process dies while the others wait for it."""

    def work(rank):
        with process_group("cpu", Path("work")) as processes:
            if rank == 0:
                die()
            processes.broadcast()

    assert together(3, work) == [-9, 3, 3]
    print(Path("error-2").read_text())


globals()[sys.argv[1]]()
