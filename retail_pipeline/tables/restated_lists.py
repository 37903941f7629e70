"""What a list that was handed over would be today, customer by customer: the difference."""

from retail_pipeline.tables.campaign_lists import LIST_MADE_FROM
from retail_pipeline.tables.columns import CUSTOMER, INTEGER, ON_LIST, STRING
from retail_pipeline.tables.table import Column, Reads, Table

TABLE = Table(
    __name__,
    __doc__,
    layer="campaigns",
    partition_keys=("snapshot_date", "campaign"),
    key=("customer_id",),
    beside="campaign_lists",
    made_from={**LIST_MADE_FROM, "released": Reads("campaign_lists"), "campaign_lists": "how lists are made"},
    kept="until the list would again be what was handed over, or may not be made",
    columns=(
        CUSTOMER,
        Column(
            "change",
            STRING,
            "added (without what was released), same, changed, or removed (without what would be)",
            values=("same", "added", "removed", "changed"),
        ),
        *(Column(column.name, column.type, column.meaning, nullable=True) for column in ON_LIST),
        *(
            Column(f"released_{name}", type_, "As handed over", nullable=True)
            for name, type_ in (("segment", STRING), ("arm", STRING), ("rank", INTEGER))
        ),
    ),
)
