"""Damaged and hostile files, made by the thousand and read in a process that may not take long, nor much memory."""

from pipeline.fuzz.check import COUNTEREXAMPLE, State, Trouble, Workplace, check
from pipeline.fuzz.reader import Outcome, Reader

__all__ = ["COUNTEREXAMPLE", "Outcome", "Reader", "State", "Trouble", "Workplace", "check"]
