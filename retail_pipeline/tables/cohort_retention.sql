-- How many of the customers who first bought in a month bought again in each later one.
-- customer_days: all history; months: every month from the first of them to the day's (month, number, which counts
-- months), so that a month in which nobody bought is there with zeros.
with active as (
    select distinct customer_id, extract(year from date) * 12 + extract(month from date) - 1 as number
    from customer_days
    where orders > 0
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
    cast(coalesce(b.customers, 0) as double) / cast(c.customers as double) as rate
from cohorts as c
inner join months as began on began.number = c.cohort
inner join months as observed on observed.number >= c.cohort
left join bought as b on b.cohort = c.cohort and b.number = observed.number
order by began.month, observed.month
