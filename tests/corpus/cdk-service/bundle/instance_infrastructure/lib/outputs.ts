export const Url = '{{ no template }}';
