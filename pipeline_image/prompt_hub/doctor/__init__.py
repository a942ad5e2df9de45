"""What is wrong with a stage and its installation: one check a file, each finding with its mend."""
