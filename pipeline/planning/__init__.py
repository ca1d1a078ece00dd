"""Planning for a chip: does a network fit, where does it sit, what does a frame cost, and how sure is that."""

from pipeline.planning.files import save_plans
from pipeline.planning.frames import read_frames
from pipeline.planning.plan import Plan, Question, chip_name, cost_on, make_plan, make_plans
from pipeline.planning.values import csv_text, plan_values, summary_lines

__all__ = [
    "Plan",
    "Question",
    "chip_name",
    "cost_on",
    "csv_text",
    "make_plan",
    "make_plans",
    "plan_values",
    "read_frames",
    "save_plans",
    "summary_lines",
]
