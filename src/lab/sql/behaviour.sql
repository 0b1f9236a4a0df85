-- What a copy of the application can lose while every count of rows is right: references, functions, triggers, views.

alter table test_cycles add constraint test_cycles_owner foreign key (owner_id) references users (id);
alter table issues add constraint issues_cycle foreign key (cycle_id) references test_cycles (id);
alter table issues add constraint issues_reporter foreign key (reporter_id) references users (id);
alter table issues add constraint issues_severity check (severity between 1 and 5);
alter table issue_payouts add constraint issue_payouts_issue foreign key (issue_id) references issues (id) on delete cascade;
alter table issue_payouts add constraint issue_payouts_user foreign key (user_id) references users (id) deferrable initially deferred;

-- One row breaks this rule, which only holds for what comes after it.
update issues set title = repeat('An issue with a title that is far too long. ', 6) where id = 1;
alter table issues add constraint issues_title_is_short check (length(title) <= 200) not valid;

create function touch() returns trigger language plpgsql as $$
begin
    new.updated_at := now();
    return new;
end
$$;
create trigger issues_touched before update on issues
    for each row when (old.* is distinct from new.*) execute function touch();

create function refuse_payout_of_rejected() returns trigger language plpgsql as $_$
declare
    found_state issue_state;
begin
    select state into found_state from issues where id = new.issue_id;
    if found_state = 'rejected' then
        raise exception 'issue % was rejected: $0 is paid for it', new.issue_id;
    end if;
    return new;
end
$_$;
create trigger issue_payouts_not_of_rejected before insert on issue_payouts
    for each row execute function refuse_payout_of_rejected();
-- Kept, switched off: a copy in which it is on behaves otherwise.
alter table issue_payouts disable trigger issue_payouts_not_of_rejected;

create function paid_to(of_user bigint) returns numeric language sql stable
    begin atomic
        select coalesce(sum(amount), 0) from issue_payouts where user_id = of_user and paid_on is not null;
    end;
create function paid_to(of_email text) returns numeric language sql stable as
$$ select paid_to(id) from users where lower(email) = lower(of_email) $$;
create procedure close_cycle(cycle integer) language sql as
$$ update issues set state = 'rejected' where cycle_id = cycle and state in ('draft', 'open') $$;

create view open_issues with (security_barrier = true) as
    select id, title, severity, created_at from issues where state in ('draft', 'open');
create view cycle_totals as
    select c.id, c.title, count(i.id) as issues, count(*) filter (where i.state = 'paid') as paid
    from test_cycles c left join issues i on i.cycle_id = c.id
    group by c.id;
create materialized view payouts_by_currency as
    select currency, count(*) as payouts, sum(amount) as amount from issue_payouts group by currency;
create unique index payouts_by_currency_key on payouts_by_currency (currency);
-- Never filled, and so it must stay in a copy.
create materialized view payouts_by_day as
    select paid_on, sum(amount) as amount from issue_payouts group by paid_on with no data;

comment on table issues is 'What testers found; the writer of the lab adds to it.';
comment on column issues.details is E'As the browser sent it.\nNot checked.';
comment on function paid_to(bigint) is 'What a user was really paid.';
comment on constraint issues_title_is_short on issues is 'Older titles may be longer.';
grant select on open_issues, cycle_totals to public;
