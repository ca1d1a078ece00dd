"""What a deployment deploys: the student of its own configuration, or a model that ``monospike train`` has made."""

from pipeline.deployed.deployed import Deployed
from pipeline.deployed.model import TrainedModel, trained_model
from pipeline.deployed.own import OwnStudent

__all__ = ["Deployed", "OwnStudent", "TrainedModel", "trained_model"]
