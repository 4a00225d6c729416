-- A view reads what its owner may read.
ALTER VIEW closed_positions RESET (security_invoker);
ALTER VIEW coverage_gaps RESET (security_invoker);
ALTER VIEW daily_activity RESET (security_invoker);
ALTER VIEW fact_positions RESET (security_invoker);
ALTER VIEW open_positions RESET (security_invoker);
ALTER VIEW position_lifecycle RESET (security_invoker);
ALTER VIEW position_timeline RESET (security_invoker);
ALTER VIEW ranked_facts RESET (security_invoker);
ALTER VIEW ranked_positions RESET (security_invoker);
ALTER VIEW retractions RESET (security_invoker);
