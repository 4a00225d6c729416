CREATE OR REPLACE FUNCTION local_days(from_day date, to_day date, zone text DEFAULT 'UTC')
RETURNS TABLE (day date, starts_at timestamptz, ends_at timestamptz)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
BEGIN
    -- PostgreSQL takes these as POSIX does, where +05:30 is west of Greenwich: days of another zone.
    -- These names with digits are zones of their own.
    IF zone ~ '[0-9]' AND zone !~* '^(Etc/GMT[+-]?[0-9]{1,2}|GMT[+-]?0|[ECMP]ST[5678][ECMP]DT)$' THEN
        RAISE EXCEPTION 'An offset is no time zone here: %.', zone
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Write a name of pg_timezone_names, such as Asia/Kolkata.';
    END IF;
    RETURN QUERY
    SELECT
        from_day + n,
        (from_day + n)::timestamp AT TIME ZONE zone,
        (from_day + n + 1)::timestamp AT TIME ZONE zone
    FROM generate_series(0, to_day - from_day) n;
END
$$;
COMMENT ON FUNCTION local_days(date, date, text) IS
    'The days from from_day to to_day of a time zone (a name of pg_timezone_names, such as America/New_York), each with the moments at which it starts and ends; of a day on which clocks change that is 23 or 25 hours. An offset such as +05:30 is refused: PostgreSQL would read it as west of Greenwich.';
