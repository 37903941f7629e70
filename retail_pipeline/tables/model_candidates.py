"""What was fitted for a month, with its gates: in force since, or kept and refused."""

from retail_pipeline.tables.columns import STRING
from retail_pipeline.tables.table import MONTH_BEFORE, MONTH_CLOSE, Check, Column, Reads, Table

TABLE = Table(
    __name__,
    __doc__,
    layer="segments",
    partition_keys=("month",),
    key=("segmentation",),
    reads=(Reads("customer_days", MONTH_BEFORE),),
    made_from={
        "lacks": "what is awaited",
        "rfm_features": Reads("rfm_features", MONTH_CLOSE),
        "rfm_features_before": "features before",
        "features": "features and sums",
        "segmentations": "segmentations",
        "gates": "gates",
        "champion": Reads("segmentation_models", MONTH_BEFORE),
    },
    file="<segmentation>.json",
    columns=(
        Column("segmentation", STRING, "Its name"),
        Column("candidate", STRING, "The fitted model, its gates' figures and the verdict, as JSON"),
    ),
    checks=(
        Check(
            "candidates_pass_their_gates",
            "Every segmentation's candidate passes every gate, or somebody promoted it.",
            blocking=False,
        ),
    ),
    code_version="3",
)
