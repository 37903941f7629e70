-- The single figures of one day, one column a figure. rfm_features: today's; sales_hours: those of the feature window;
-- customer_days: all history; months: as cohort_retention reads them; year_from, year_before_from: the first days of the
-- last 365 and of the 365 before. A share of nothing is null. The tenth with the most are those with fewer than a tenth
-- of the others before them; equal customers stand together.
with active as (
    select
        frequency,
        monetary,
        avg_order_value * frequency as gross,
        frequency = 1 as once,
        percent_rank() over (order by frequency desc) < 0.1 as is_frequent,
        percent_rank() over (order by monetary desc) < 0.1 as is_big,
        percent_rank() over (order by avg_order_value desc) < 0.1 as has_big_orders
    from rfm_features
    where frequency > 0
),
known as (
    select
        count(*) as customers,
        cast(count(case when frequency = 0 then 1 end) as double) as lapsed
    from rfm_features
),
spent as (
    select
        cast(count(*) as double) as customers,
        cast(sum(frequency) as double) as orders,
        cast(sum(gross) as double) as gross,
        cast(sum(monetary) as double) as monetary,
        cast(sum(case when once then 0 else monetary end) as double) as repeat_monetary,
        cast(count(case when once then 1 end) as double) as once,
        cast(count(case when is_big then 1 end) as double) as big,
        cast(count(case when is_big and once then 1 end) as double) as big_once,
        cast(sum(case when is_big then monetary end) as double) as big_monetary,
        cast(count(case when has_big_orders then 1 end) as double) as big_orders,
        cast(count(case when has_big_orders and once then 1 end) as double) as big_orders_once,
        cast(sum(case when is_frequent then gross end) as double) as frequent_gross,
        cast(sum(case when is_frequent then frequency end) as double) as frequent_orders,
        cast(sum(case when not is_frequent then gross end) as double) as other_gross,
        cast(sum(case when not is_frequent then frequency end) as double) as other_orders
    from active
),
sold as (
    select
        cast(sum(revenue) as double) as revenue,
        cast(sum(gross_amount) as double) as gross,
        cast(sum(anonymous_amount) as double) as anonymous,
        cast(sum(returned_amount) as double) as returned
    from sales_hours
),
years as (
    select
        customer_id,
        max(case when date >= $year_from then 1 else 0 end) as this_year,
        max(case when date >= $year_before_from and date < $year_from then 1 else 0 end) as year_before,
        min(date) as first_day
    from customer_days
    where orders > 0
    group by customer_id
),
followed as (
    select b.number, b.next_number
    from (
        select customer_id, number, lead(number) over (partition by customer_id order by number) as next_number
        from (
            select distinct customer_id, extract(year from date) * 12 + extract(month from date) - 1 as number
            from customer_days
            where orders > 0
        ) as active
    ) as b
    inner join (
        select m.number
        from months as m
        inner join months as n on n.number = m.number + 1
        where m.whole and n.whole
        order by m.number desc
        limit 12
    ) as pairs on pairs.number = b.number
),
repeated as (
    select cast(count(case when next_number = number + 1 then 1 end) as double) / nullif(count(*), 0) as share
    from followed
),
kept as (
    select
        min(first_day) as first_day,
        cast(sum(year_before) as double) as before,
        cast(sum(case when year_before = 1 and this_year = 0 then 1 else 0 end) as double) as lost
    from years
)
select
    cast(k.customers as double) as customers,
    s.customers as active_customers,
    k.lapsed as lapsed_customers,
    coalesce(s.orders, 0) as orders,
    coalesce(t.revenue, 0) as revenue,
    coalesce(s.monetary, 0) as customer_revenue,
    s.gross / nullif(s.orders, 0) as avg_order_value,
    s.repeat_monetary / nullif(s.monetary, 0) as repeat_revenue_share,
    r.share as next_month_share,
    case when y.first_day <= $year_before_from then y.lost / nullif(y.before, 0) end as lost_share_of_year,
    s.once / nullif(s.customers, 0) as one_order_share,
    s.big_once / nullif(s.big, 0) as big_spenders_one_order_share,
    s.big_monetary / nullif(s.monetary, 0) as big_spenders_revenue_share,
    s.big_orders_once / nullif(s.big_orders, 0) as big_orders_one_order_share,
    s.frequent_gross / nullif(s.frequent_orders, 0) as most_frequent_avg_order_value,
    s.other_gross / nullif(s.other_orders, 0) as others_avg_order_value,
    t.anonymous / nullif(t.gross, 0) as anonymous_revenue_share,
    t.returned / nullif(t.gross, 0) as returned_share
from known as k
cross join spent as s
cross join sold as t
cross join kept as y
cross join repeated as r
