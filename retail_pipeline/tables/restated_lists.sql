-- What a list that was handed over would be today, beside what it was. restated: the list as it would be made now;
-- released: the list as it was handed over. A customer is the same if all but the reason is: figures in its words move
-- without consequence.
select
    coalesce(n.customer_id, r.customer_id) as customer_id,
    case
        when r.customer_id is null then 'added'
        when n.customer_id is null then 'removed'
        when n.segment = r.segment and n.arm = r.arm and n.rank = r.rank and n.offer = r.offer
            and n.channel = r.channel then 'same'
        else 'changed'
    end as change,
    n.segment,
    n.arm,
    n.rank,
    n.offer,
    n.channel,
    n.reason,
    r.segment as released_segment,
    r.arm as released_arm,
    r.rank as released_rank
from restated as n
full outer join released as r on r.customer_id = n.customer_id
order by n.rank nulls last, r.rank
