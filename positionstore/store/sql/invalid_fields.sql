-- name: listed
-- The fields of positions whose value is not of their kind, with the first positions of each.
SELECT
    field,
    count(*) AS positions,
    (array_agg(position_id ORDER BY position_id COLLATE "C"))[1:5] AS examples
FROM positions, unnest(misfit_fields) AS field
WHERE misfit_fields <> '{}'
GROUP BY field
ORDER BY count(*) DESC, field;
