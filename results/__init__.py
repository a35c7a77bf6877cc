"""What came out: reads MLflow, compares arms, makes tables, notes and pictures. Nothing here trains or needs Hydra."""
