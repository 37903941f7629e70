-- How far the spend of the active customers of one day reaches: what the edges of spend_distribution are chosen from.
with active as (
    select monetary, percent_rank() over (order by monetary) as place
    from rfm_features
    where frequency > 0
)
select
    cast(min(monetary) as double) as lowest,
    cast(max(case when place <= 0.75 then monetary end) as double) as upper_quartile,
    cast(max(monetary) as double) as highest
from active
