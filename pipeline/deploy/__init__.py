"""From a trained model to files, proof and report, stage by stage."""
