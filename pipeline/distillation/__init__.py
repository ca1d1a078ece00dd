"""What a student learns from a teacher, or from another student: functions of tensors, one idea a file.

Temperatures, weights and reductions are this project's own wherever a docstring doesn't name a source: the papers of
S4-KD and of distilled Siamese tracking could be read in abstract only, and neither pins them.
"""
