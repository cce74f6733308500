/** Node's timers take no more than 24.8 days; tasks may run for 30. */
const LONGEST = 2 ** 31 - 1;

/** Call back after so many milliseconds; the returned function calls it off. */
export function after(milliseconds: number, callback: () => void): () => void {
  let timer: NodeJS.Timeout;
  const wait = (left: number): void => {
    timer = setTimeout(
      () => {
        if (left > LONGEST) wait(left - LONGEST);
        else callback();
      },
      Math.min(Math.max(left, 0), LONGEST),
    );
  };
  wait(milliseconds);
  return () => {
    clearTimeout(timer);
  };
}
