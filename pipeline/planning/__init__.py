"""Planning for a chip: does a network fit, where does it sit, what does a frame cost, and how sure is that."""

from pipeline.planning.frames import read_frames
from pipeline.planning.plan import Plan, Question, make_plan
from pipeline.planning.values import csv_text, plan_values, summary_lines

__all__ = ["Plan", "Question", "csv_text", "make_plan", "plan_values", "read_frames", "summary_lines"]
