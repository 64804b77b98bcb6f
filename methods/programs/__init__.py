"""What tasks compute: one file a program, and all of them registered here."""

from stillhouse.methods.programs.context import Context, UnsupportedError
from stillhouse.methods.programs.distribution_match import DistributionMatch
from stillhouse.methods.programs.feature_regression import FeatureRegression
from stillhouse.methods.programs.follow_recipe import FollowRecipe
from stillhouse.methods.programs.gradient_match import GradientMatch
from stillhouse.methods.programs.influence_function import InfluenceFunction
from stillhouse.methods.programs.kernel_block import KernelBlock
from stillhouse.methods.programs.kernel_block_vjp import KernelBlockVjp
from stillhouse.methods.programs.kernel_gram import KernelGram
from stillhouse.methods.programs.kernel_gram_vjp import KernelGramVjp
from stillhouse.methods.programs.leave_one_out import LeaveOneOut, SetTraining
from stillhouse.methods.programs.loss_curvature import LossCurvature
from stillhouse.methods.programs.network_features import NetworkFeatures
from stillhouse.methods.programs.predict_classes import PredictClasses
from stillhouse.methods.programs.program import (
    KERNEL_ELEMENTS,
    PASSES,
    Arrays,
    ArrayType,
    Halves,
    Program,
    Types,
)
from stillhouse.methods.programs.random_features import RandomFeatures, RandomFeaturesVjp
from stillhouse.methods.programs.registry import program_from_json, program_to_json, register
from stillhouse.methods.programs.train_and_predict import TrainAndPredict
from stillhouse.methods.programs.train_network import TrainNetwork
from stillhouse.methods.programs.train_on_set import TrainOnSet
from stillhouse.methods.programs.trajectory_match import TrajectoryMatch
from stillhouse.methods.programs.unrolled_gradient import UnrolledGradient

__all__ = [
    "KERNEL_ELEMENTS",
    "PASSES",
    "ArrayType",
    "Arrays",
    "Context",
    "DistributionMatch",
    "FeatureRegression",
    "FollowRecipe",
    "GradientMatch",
    "Halves",
    "InfluenceFunction",
    "KernelBlock",
    "KernelBlockVjp",
    "KernelGram",
    "KernelGramVjp",
    "LeaveOneOut",
    "LossCurvature",
    "NetworkFeatures",
    "PredictClasses",
    "Program",
    "RandomFeatures",
    "RandomFeaturesVjp",
    "SetTraining",
    "TrainAndPredict",
    "TrainNetwork",
    "TrainOnSet",
    "TrajectoryMatch",
    "Types",
    "UnrolledGradient",
    "UnsupportedError",
    "program_from_json",
    "program_to_json",
    "register",
]
