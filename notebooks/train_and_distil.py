# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # Train and distil a tiny student
#
# A teacher with real values, a student of spikes at one time step that learns from it, and the student as integers. All of
# it is far too small and far too short to be any good: it takes seconds, and the same lines train the real ones.
#
# Clips are composed of the two photographs that scikit-learn installs. First the teacher, SiamFC++ of a few channels:

# %%
from pathlib import Path

import torch

from pipeline.core.config import parse_config
from pipeline.core.progress import Progress
from pipeline.tasks import find_task
from pipeline.tasks.train import run_training
from pipeline.training.distributed import DistributedContext

torch.set_num_threads(1)
task = find_task("tracking")
clip = {"height": 96, "width": 128, "object_size": [20, 30]}
sides = {"template": 103, "search": 143, "box_shift": 1.4}
common = {
    "task": "tracking",
    "data": [{"kind": "composed", "clips": 3, "composition": {"frames": 3, **clip}}],
    "train": {"steps": 4, "batch": 2, "workers": 0, "blocks": "plain"},
    "validation": {"sequences": 1, "composition": {"frames": 3, **clip}},
}


def train(**settings):
    config = parse_config({**common, **settings}, task.training_config, "this notebook")
    folder = Path("runs") / config.name
    return run_training(task, config, folder, DistributedContext(torch.device("cpu")), Progress(quiet=True)), folder


width = {"backbone": [6, 8, 10, 10, 12], "neck": 8, "head": 8, "tower": 1}
teacher = {"kind": "siamfcpp", "width": width, **sides}
metrics, folder = train(
    name="teacher", models={"teacher": {"architecture": teacher}}, losses=[{"kind": "tracking", "model": "teacher"}]
)
print(sorted(path.name for path in folder.iterdir()))

# %% [markdown]
# ```text
# ['log.jsonl', 'metrics.json', 'state.safetensors', 'teacher.safetensors'...]
# ```
#
# Then the student, beside the teacher as it was left. A loss is a line: the task's own, the teacher's features (through an
# adapter, since spikes have other channels), its classes and its boxes.

# %%
spiking = {"kind": "spiking", "width": "tiny", **sides}
taught = {"student": "student", "teacher": "teacher"}
metrics, folder = train(
    name="student",
    models={
        "teacher": {"architecture": teacher, "weights": "runs/teacher/teacher.safetensors", "trained": False},
        "student": {"architecture": spiking},
    },
    losses=[
        {"kind": "tracking", "model": "student"},
        {"kind": "feature_kd", "adapter": "to_teacher", "standardise": True, **taught},
        {"kind": "class_kd", **taught},
        {"kind": "box_kd", "margin": 0.0, **taught},
    ],
)
student = metrics["student"]
print(f"{student['parameters']:,} parameters; spikes of {student['spike_rate']:.0%} of the neurons")

# %% [markdown]
# ```text
# 10,530 parameters; spikes of ...% of the neurons
# ```
#
# Every loss is logged by its name, a line of JSON a step:

# %%
import json

first = json.loads((folder / "log.jsonl").read_text().splitlines()[0])
print(sorted(name for name in first if name.startswith("student/")))

# %% [markdown]
# ```text
# ['student/box', 'student/box_kd', 'student/centre', 'student/class', 'student/class_kd', 'student/feature_kd']
# ```
#
# What was trained ran on rounded weights all along, so that the integers are the model itself. Their head-room is proven
# when they are made:

# %%
from netx import headroom

network = task.network(folder / "student.safetensors")
worst = max(headroom(network), key=lambda proof: proof.worst_case)
print(f"{len(network.layers)} layers, all on the chip; the closest to 131071 is {worst.layer}")
assert worst.proven

# %% [markdown]
# ```text
# 25 layers, all on the chip; the closest to 131071 is ...
# ```
#
# From here `monospike deploy` takes `runs/student/student.safetensors` through Lava to a report, and
# `monospike configs` lists the configurations with which the models that come along were trained.
