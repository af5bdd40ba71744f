/* A race, to see that it is found: every thread of a team counts in one place. */
long race(int threads)
{
    long count = 0;
#pragma omp parallel num_threads(threads)
    for (int k = 0; k < 1000; k++)
        count++;
    return count;
}

/* The same without one, by what kernels use: a barrier and a loop that is shared out. */
long no_race(int threads)
{
    static long found[4096];
    long sum = 0;
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(dynamic)
        for (int k = 0; k < 4096; k++)
            found[k] = k;
#pragma omp for schedule(dynamic) nowait
        for (int k = 0; k < 4096; k++)
            found[4095 - k] += 1;
    }
    for (int k = 0; k < 4096; k++)
        sum += found[k];
    return sum;
}
