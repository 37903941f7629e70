-- How many of the customers who first bought in a month bought again in each later one.
-- customer_days: all history; months: every month from the first of them to the day's (month, number, which counts
-- months, whole: all of its days count), so that a month in which nobody bought is there with zeros.
-- Who first bought in the k-th month of the data may have bought before them. How many had is told by later months: had
-- the data begun k - 1 months before one of these, so many of those first seen in it would have been old customers. Of
-- the last twelve months those that have at least k months before that beginning are taken together. The share falls
-- with k: months before the first with less than half are left-censored, their "new" customers mostly old ones.
with active as (
    select distinct customer_id, extract(year from date) * 12 + extract(month from date) - 1 as number
    from customer_days
    where orders > 0
),
gaps as (
    select
        customer_id,
        number,
        number - lag(number) over (partition by customer_id order by number) as gap
    from active
),
buyers as (
    select g.number, g.gap, count(*) as customers
    from gaps as g
    inner join (select distinct number from active order by number desc limit 12) as w on w.number = g.number
    group by g.number, g.gap
),
began as (
    select month, number, number - min(number) over () + 1 as place
    from months
),
told as (
    select
        k.number,
        cast(sum(case when b.gap >= k.place then b.customers else 0 end) as double)
        / cast(sum(b.customers) as double) as old_share
    from began as k
    inner join began as m on m.place >= 2 * k.place
    inner join buyers as b on b.number = m.number and (b.gap >= k.place or b.gap is null)
    group by k.number
    having sum(b.customers) >= 10
),
ended as (
    select min(number) as number
    from told
    where old_share < 0.5
),
firsts as (
    select customer_id, min(number) as cohort
    from active
    group by customer_id
),
cohorts as (
    select cohort, count(*) as customers
    from firsts
    group by cohort
),
bought as (
    select f.cohort, a.number, count(*) as customers
    from firsts as f
    inner join active as a on a.customer_id = f.customer_id
    group by f.cohort, a.number
)
select
    began.month as cohort_month,
    observed.month,
    observed.number - began.number as months_since,
    c.customers as cohort_customers,
    coalesce(b.customers, 0) as customers,
    cast(coalesce(b.customers, 0) as double) / cast(c.customers as double) as rate,
    observed.whole,
    t.old_share,
    coalesce(began.number < e.number, true) as left_censored
from cohorts as c
inner join began on began.number = c.cohort
inner join months as observed on observed.number >= c.cohort
cross join ended as e
left join told as t on t.number = c.cohort
left join bought as b on b.cohort = c.cohort and b.number = observed.number
order by began.month, observed.month
