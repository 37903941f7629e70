-- Each segment of each segmentation on one day: its size, its money, its typical customer, where its customers buy.
-- slipping: what is about to be lost with each customer, in hundredths. customer_countries: those of the feature window; a customer's country is that of the last sale in it.
-- Sums are exact before they become doubles, so that the order in which rows are added cannot show. sqlglot makes
-- Spark's approximation of percentile_cont, so the middle is asked for by its own function.
with last_bought_in as (
    select
        customer_id,
        country,
        row_number() over (partition by customer_id order by date desc) as place
    from customer_countries
),
members as (
    select
        a.segmentation,
        a.segment,
        f.recency_days,
        f.frequency,
        f.monetary,
        f.avg_order_value,
        s.hundredths,
        c.country
    from segment_assignments as a
    inner join rfm_features as f on f.customer_id = a.customer_id
    inner join slipping as s on s.customer_id = a.customer_id
    left join last_bought_in as c on c.customer_id = a.customer_id and c.place = 1
),
counted as (
    select segmentation, segment, country, count(*) as customers
    from members
    where country is not null
    group by segmentation, segment, country
),
placed as (
    select
        *,
        row_number() over (partition by segmentation, segment order by customers desc, country) as place
    from counted
),
countries as (
    select
        segmentation,
        segment,
        max(case when place = 1 then country end) as country_1,
        max(case when place = 2 then country end) as country_2,
        max(case when place = 3 then country end) as country_3,
        max(case when place = 1 then customers end) as customers_1,
        max(case when place = 2 then customers end) as customers_2,
        max(case when place = 3 then customers end) as customers_3
    from placed
    where place <= 3
    group by segmentation, segment
),
profiles as (
    select
        segmentation,
        segment,
        count(*) as customers,
        sum(monetary) as revenue,
        sum(hundredths) as hundredths,
        cast(sum(recency_days) as double) / count(*) as recency_days_mean,
        median(cast(recency_days as double)) as recency_days_median,
        cast(sum(frequency) as double) / count(*) as frequency_mean,
        median(cast(frequency as double)) as frequency_median,
        cast(sum(monetary) as double) / count(*) as monetary_mean,
        median(cast(monetary as double)) as monetary_median,
        cast(sum(avg_order_value) as double) / nullif(count(avg_order_value), 0) as avg_order_value_mean,
        median(cast(avg_order_value as double)) as avg_order_value_median
    from members
    group by segmentation, segment
),
totals as (
    select segmentation, sum(customers) as customers, sum(revenue) as revenue, sum(hundredths) as hundredths
    from profiles
    group by segmentation
)
select
    p.segmentation,
    p.segment,
    p.customers,
    cast(p.customers as double) / cast(t.customers as double) as share,
    cast(p.revenue as decimal(18, 4)) as revenue,
    cast(p.revenue as double) / nullif(cast(t.revenue as double), 0) as revenue_share,
    cast(p.hundredths as double) / nullif(cast(t.hundredths as double), 0) as slipping_share,
    p.recency_days_mean,
    p.recency_days_median,
    p.frequency_mean,
    p.frequency_median,
    p.monetary_mean,
    round(p.monetary_median, 6) as monetary_median,
    p.avg_order_value_mean,
    round(p.avg_order_value_median, 6) as avg_order_value_median,
    case
        when c.country_3 is not null then [c.country_1, c.country_2, c.country_3]
        when c.country_2 is not null then [c.country_1, c.country_2]
        when c.country_1 is not null then [c.country_1]
        else []
    end as top_countries,
    case
        when c.country_3 is not null then [
            cast(c.customers_1 as double) / p.customers,
            cast(c.customers_2 as double) / p.customers,
            cast(c.customers_3 as double) / p.customers
        ]
        when c.country_2 is not null then [
            cast(c.customers_1 as double) / p.customers,
            cast(c.customers_2 as double) / p.customers
        ]
        when c.country_1 is not null then [cast(c.customers_1 as double) / p.customers]
        else []
    end as top_country_shares
from profiles as p
inner join totals as t on t.segmentation = p.segmentation
left join countries as c on c.segmentation = p.segmentation and c.segment = p.segment
order by p.segmentation, p.segment
