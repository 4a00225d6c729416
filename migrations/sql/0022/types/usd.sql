CREATE DOMAIN usd AS numeric(24,4);
COMMENT ON DOMAIN usd IS
    'Dollars, exact to the pip, in the rows of a function: of a plain numeric a function forgets how many digits it has, and then other tools read a float.';
