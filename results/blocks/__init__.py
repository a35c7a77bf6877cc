"""The generated blocks of notes: their markers, their numbers, and when one is out of date."""
