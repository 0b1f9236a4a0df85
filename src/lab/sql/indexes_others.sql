-- Keys and indexes of the other three.

alter table users add constraint users_pkey primary key (id);
alter table users add constraint users_email_is_one check (email like '%_@_%');
create unique index users_email on users (lower(email));
create index users_settings on users using gin (settings jsonb_path_ops);
alter table test_cycles add constraint test_cycles_pkey primary key (id);
alter table test_cycles add constraint test_cycles_end_after_start check (ends_on >= starts_on);
alter table issue_payouts add constraint issue_payouts_pkey primary key (id);
create index issue_payouts_by_issue on issue_payouts (issue_id) include (amount);
create index issue_payouts_unpaid on issue_payouts (user_id) where paid_on is null;
create statistics issue_payouts_currency (dependencies) on currency, user_id from issue_payouts;
