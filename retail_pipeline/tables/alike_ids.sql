-- Groups of customer ids that are one but for letter case, leading zeros, and what is neither letter nor digit: how many
-- there are more from each day on, with an example. feature_changes: all customers that are known by then.
-- Numbers of several parts (12-3 and 1-23) are not alike for being written alike without their separators; nor are the
-- addresses of two mailboxes.
with customers as (
    select customer_id, min(cast(first_visit_at as date)) as first_day
    from feature_changes
    group by customer_id
),
marked as (
    select
        customer_id,
        first_day,
        case
            when contains(customer_id, '@') then lower(customer_id)
            else regexp_replace(lower(customer_id), '[^\p{L}\p{N}]+', '-', 'g')
        end as mark
    from customers
),
parted as (
    select *, regexp_replace(mark, '^[^0-9]*', '') as digits_on
    from marked
),
shapes as (
    select
        customer_id,
        first_day,
        case
            when contains(mark, '@') then mark
            else concat(
                substr(mark, 1, length(mark) - length(digits_on)), regexp_replace(digits_on, '^0+', '')
            )
        end as shape
    from parted
),
named as (
    select
        customer_id,
        first_day,
        shape,
        case when contains(shape, '@') then shape else replace(shape, '-', '') end as name,
        regexp_matches(shape, '[0-9]-[0-9]') as has_parts
    from shapes
),
groups as (
    select name
    from named
    where name <> ''
    group by name
    having count(*) > 1 and (count(distinct shape) < count(*) or count(case when not has_parts then 1 end) > 0)
),
placed as (
    select
        n.customer_id,
        n.first_day,
        row_number() over (partition by n.name order by n.first_day, n.customer_id) as place,
        lag(n.customer_id) over (partition by n.name order by n.first_day, n.customer_id) as other_id
    from named as n
    inner join groups as g on g.name = n.name
),
seconds as (
    select first_day, customer_id, other_id, row_number() over (partition by first_day order by customer_id) as place
    from placed
    where place = 2
)
select
    first_day as date,
    count(*) as ids,
    max(case when place = 1 then other_id end) as one,
    max(case when place = 1 then customer_id end) as other
from seconds
group by first_day
order by first_day
