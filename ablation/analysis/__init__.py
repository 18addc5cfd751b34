"""From stored runs to answers: study, comparison, audit, effects, tables. Knows no network."""
