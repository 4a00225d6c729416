-- A view reads what its reader may read: row security holds through it, and so do the reader's rights.
ALTER VIEW closed_positions SET (security_invoker = true);
ALTER VIEW coverage_gaps SET (security_invoker = true);
ALTER VIEW daily_activity SET (security_invoker = true);
ALTER VIEW fact_positions SET (security_invoker = true);
ALTER VIEW open_positions SET (security_invoker = true);
ALTER VIEW position_lifecycle SET (security_invoker = true);
ALTER VIEW position_timeline SET (security_invoker = true);
ALTER VIEW ranked_facts SET (security_invoker = true);
ALTER VIEW ranked_positions SET (security_invoker = true);
ALTER VIEW retractions SET (security_invoker = true);
