"""What a deployment deploys: the student of its own configuration, or a model that ``monospike train`` has made."""

from pipeline.deployed.deployed import Deployed
from pipeline.deployed.model import TrainedModel, trained_model

__all__ = ["Deployed", "TrainedModel", "trained_model"]
