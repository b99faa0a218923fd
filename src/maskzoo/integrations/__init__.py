"""What is found, as the objects of other libraries: one file for each library, which is imported when it is used."""
