"""The models in force in a month: one JSON a segmentation, trained on the days before the month."""

from retail_pipeline.tables.columns import STRING
from retail_pipeline.tables.table import MONTH_BEFORE, Check, Column, Reads, Table

TABLE = Table(
    __name__,
    __doc__,
    layer="segments",
    partition_keys=("month",),
    key=("segmentation",),
    reads=(Reads("model_candidates"),),
    made_from={
        "candidates": Reads("model_candidates"),
        "champion": Reads("segmentation_models", MONTH_BEFORE),
        "decisions": "decisions",
    },
    file="<segmentation>.json",
    columns=(
        Column("segmentation", STRING, "Its name"),
        Column("model", STRING, "The fitted model with its card, as JSON"),
    ),
    checks=(
        Check(
            "models_rest_on_present_data",
            "The days that the month's candidates were fitted on have not changed since.",
            blocking=False,
        ),
        Check(
            "customers_move_by_themselves",
            "At most models.max_moved_by_model of the customers are put in another segment by the "
            "month's new model alone, on the same features of the month close.",
            blocking=False,
        ),
    ),
    code_version="3",
)
