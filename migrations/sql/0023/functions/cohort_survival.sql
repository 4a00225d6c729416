CREATE OR REPLACE FUNCTION cohort_survival(
    from_day date,
    to_day date,
    ages interval[] DEFAULT '{1 hour,6 hours,1 day,3 days,7 days}',
    zone text DEFAULT 'UTC',
    known_time timestamptz DEFAULT now()
)
RETURNS TABLE (
    cohort date,
    age interval,
    age_seconds bigint,
    positions bigint,
    ended bigint,
    censored bigint,
    at_risk bigint,
    survival numeric
)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
    -- Open ones are known to have lived until then.
    observed timestamptz := least(known_time, now());
BEGIN
    RETURN QUERY
    WITH lives AS (
        SELECT
            (k.opened_at AT TIME ZONE zone)::date AS cohort,
            (k.ended_at <= observed) IS TRUE AS has_ended,
            greatest(
                extract(epoch FROM CASE
                    WHEN k.ended_at <= observed THEN k.ended_at ELSE observed
                END - k.opened_at),
                0
            ) AS lived
        FROM positions_known_at(known_time) k
        WHERE k.opened_at <= observed
    ),
    -- Kaplan and Meier: at each moment at which some end, the share of those still there that do not.
    moments AS (
        SELECT
            l.cohort,
            l.lived,
            count(*) FILTER (WHERE l.has_ended) AS ended,
            sum(count(*)) OVER (PARTITION BY l.cohort ORDER BY l.lived DESC) AS there
        FROM lives l
        JOIN local_days(from_day, to_day, zone) d ON d.day = l.cohort
        GROUP BY l.cohort, l.lived
    ),
    sizes AS (
        SELECT
            l.cohort,
            a.age,
            count(*) AS positions,
            count(*) FILTER (WHERE l.has_ended AND l.lived <= a.seconds) AS ended,
            count(*) FILTER (WHERE NOT l.has_ended AND l.lived < a.seconds) AS censored,
            a.seconds,
            max(l.lived) >= a.seconds AS is_reached
        FROM lives l
        JOIN local_days(from_day, to_day, zone) d ON d.day = l.cohort
        CROSS JOIN (SELECT DISTINCT g, extract(epoch FROM g) FROM unnest(ages) g) a (age, seconds)
        GROUP BY l.cohort, a.age, a.seconds
    )
    SELECT
        s.cohort,
        s.age,
        s.seconds::bigint,
        s.positions,
        s.ended,
        s.censored,
        s.positions - s.ended - s.censored,
        (
            SELECT CASE
                WHEN bool_or(m.ended = m.there) THEN 0
                WHEN s.is_reached THEN round(
                    exp(coalesce(sum(ln(1 - m.ended / m.there)) FILTER (WHERE m.ended < m.there), 0)), 6
                )
            END
            FROM moments m
            WHERE m.cohort = s.cohort AND m.lived <= s.seconds AND m.ended > 0
        )
    FROM sizes s;
END
$$;
COMMENT ON FUNCTION cohort_survival(date, date, interval[], text, timestamptz) IS
    'How long positions stay open, by the day of a time zone on which they opened: at each age how many had ended, how many are open and younger (censored: they are known to have lived so long, and no more), how many are known to be older (at_risk), and the Kaplan-Meier estimate of the share that is open at that age. As known at known_time, now by default. survival is NULL beyond the age of the oldest, where that one is open still. A time without a zone is of the session''s time zone: write 17:00Z.';
